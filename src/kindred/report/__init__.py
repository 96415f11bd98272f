"""What people look at: tables, figures and one HTML page, computed from the artefacts of the experiment."""
