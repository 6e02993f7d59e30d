"""What the literature used: precursors and firing conditions, learnt from text-mined papers."""
