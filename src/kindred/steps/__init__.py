"""One thin command for each rule: read artefacts, call one library function, write an artefact."""
