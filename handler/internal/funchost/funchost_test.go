package funchost_test

// The port that the Functions host gives.

import (
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/funchost"
)

func TestPort(t *testing.T) {
	t.Parallel()
	const custom, worker = "FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"
	for _, tt := range []struct {
		env  map[string]string
		want int    // 0 means an error
		name string // that the error names
	}{
		{map[string]string{}, 8080, ""},
		{map[string]string{custom: ""}, 8080, ""},
		{map[string]string{custom: "7001"}, 7001, ""},
		{map[string]string{worker: "7002"}, 7002, ""},
		{map[string]string{custom: "7001", worker: "7002"}, 7001, ""},
		{map[string]string{custom: "7001", worker: "x"}, 7001, ""},
		{map[string]string{custom: "65535"}, 65535, ""},
		{map[string]string{custom: "65536"}, 0, custom},
		{map[string]string{custom: "0"}, 0, custom},
		{map[string]string{custom: "-1"}, 0, custom},
		{map[string]string{custom: "+80"}, 0, custom},
		{map[string]string{custom: "80 "}, 0, custom},
		{map[string]string{custom: "http", worker: "7002"}, 0, custom},
		{map[string]string{worker: "1e3"}, 0, worker},
	} {
		got, err := funchost.Port(func(name string) string { return tt.env[name] })
		switch {
		case tt.want != 0 && (err != nil || got != tt.want):
			t.Errorf("Port(%v) = %d, %v, want %d", tt.env, got, err, tt.want)
		case tt.want == 0 && (err == nil || !strings.Contains(err.Error(), tt.name+" is")):
			t.Errorf("Port(%v) = %d, %v, want an error about %s", tt.env, got, err, tt.name)
		}
	}
}
