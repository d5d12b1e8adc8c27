//go:build !race

package vault_test

const raceDetector = false
