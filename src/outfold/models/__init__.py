"""Backbones, heads and pretrained weights."""
