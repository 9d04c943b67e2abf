"""Tells others outside what has come to its end: by signed callbacks and by mail. Knows neither HTTP servers nor S3."""
