"""What a run would take, before any work: rows, bytes, requests, hours and dollars."""
