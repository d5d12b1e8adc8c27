package acme

// RefuseLocal is what a connection to a name is checked with.
var RefuseLocal = refuseLocal
