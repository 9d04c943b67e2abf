"""Who is measured: bucketzip, the peers people use today, and a bare proxy as the floor."""
