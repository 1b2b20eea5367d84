"""Random transforms of photos, composed into one warp and one lookup table."""
