"""Do two matched features of two sparse autoencoders mean the same thing?"""

__version__ = "0.1.0"
