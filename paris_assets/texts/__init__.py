"""What texts are, beside the stages: words, names of files, templates."""
