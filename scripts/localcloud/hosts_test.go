package main

import "testing"

func TestHostsFile(t *testing.T) {
	t.Parallel()
	got, err := hostsFile("myvault,B-2")
	if want := "127.0.0.1 localhost\n127.0.0.1 myvault.vault.azure.net\n127.0.0.1 B-2.vault.azure.net\n"; err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, names := range []string{"a,", "a b", "a.b", "-a", "a\n8.8.8.8 b", "abcdefghijklmnopqrstuvwxy"} {
		if got, err := hostsFile(names); err == nil {
			t.Errorf("%q: %q", names, got)
		}
	}
}
