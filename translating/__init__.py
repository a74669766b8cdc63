"""What test.py does: a generator from a run or a file, and the loop over images.

Other programs import `load_generator` from here.
"""

from translating.translator import Translator, load_generator

__all__ = ["Translator", "load_generator"]
