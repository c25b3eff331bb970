"""What a release ships: images with their SBOMs, and one archive of everything for clusters without Internet."""
