"""Write the dashboard."""

from grafana.dashboard import FILE, as_json

FILE.write_text(as_json())
