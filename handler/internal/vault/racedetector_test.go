//go:build race

package vault_test

// raceDetector: see search.
const raceDetector = true
