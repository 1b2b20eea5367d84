"""Recordings: decoding, clips, labels of clips, the cache of waveforms, and checks."""
