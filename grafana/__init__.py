"""The Grafana dashboard, made of typed objects: `make dashboard` writes it."""
