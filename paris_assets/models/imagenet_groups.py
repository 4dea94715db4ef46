"""What ImageNet's labels are kinds of, where its order says so."""

from __future__ import annotations

# First and last index, and what all labels between them are. The first 398 classes of ILSVRC2012 are animals in the
# order of their kinds, some of the last are food, landscapes, people and fungi; those between are things in the order
# of the alphabet, of which one is named since its last word misleads (teddy bear). Left out are animals that stand
# alone, and ranges whose labels share no everyday word.
_RANGES = (
    (0, 6, "fish"),
    (7, 24, "bird"),
    (25, 29, "salamander"),
    (30, 32, "frog"),
    (33, 37, "turtle"),
    (38, 48, "lizard"),
    (49, 50, "crocodilian"),
    (52, 68, "snake"),
    (70, 78, "arachnid"),
    (80, 100, "bird"),
    (104, 106, "marsupial"),
    (112, 117, "mollusc"),
    (118, 126, "crustacean"),
    (127, 146, "bird"),
    (147, 150, "marine mammal"),
    (151, 268, "dog"),
    (269, 275, "wild dog"),
    (277, 280, "fox"),
    (281, 285, "cat"),
    (286, 293, "wild cat"),
    (294, 297, "bear"),
    (300, 326, "insect"),
    (327, 329, "echinoderm"),
    (330, 332, "rabbit"),
    (333, 338, "rodent"),
    (339, 340, "equine"),
    (341, 343, "pig"),
    (345, 353, "bovid"),
    (354, 355, "camelid"),
    (356, 360, "mustelid"),
    (365, 369, "ape"),
    (370, 382, "monkey"),
    (383, 384, "lemur"),
    (385, 386, "elephant"),
    (389, 397, "fish"),
    (850, 850, "toy"),
    (924, 935, "food"),
    (936, 946, "vegetable"),
    (948, 957, "fruit"),
    (959, 965, "food"),
    (970, 970, "landscape"),
    (972, 972, "landscape"),
    (974, 980, "landscape"),
    (981, 983, "person"),
    (985, 986, "flower"),
    (991, 997, "fungus"),
)


def group(index: int) -> str | None:
    """The kind that a label is one of, by its index 0 to 999: ``dog`` of ``golden retriever``; None where the order of
    the labels tells none."""
    return next((name for first, last, name in _RANGES if first <= index <= last), None)
