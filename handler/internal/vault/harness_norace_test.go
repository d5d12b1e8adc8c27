//go:build !race

package vault_test

// What search has to know where no race detector runs.

const raceDetector = false
