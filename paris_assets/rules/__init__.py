"""Filter rules: beside the stages, because two of them judge, `content_scores` to spare models and `filtered_images` to
decide."""
