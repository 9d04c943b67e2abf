"""The peers' programs: each as its own documentation or habit has it, no cleverer and no slower."""
