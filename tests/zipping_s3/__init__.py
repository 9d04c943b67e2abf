"""The class `ZippingS3`, by itself and beside the one that it stands in for."""
