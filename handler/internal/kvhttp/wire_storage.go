package kvhttp

import "github.com/certwright/certwright/handler/internal/vault"

// unreadableRow is a row that counts for nothing.
type unreadableRow struct {
	Key     string `json:"key"`
	Problem string `json:"problem"`
}

// adoption names a row that is to count although it is not authentic.
type adoption struct {
	Key string `json:"key"`
}

// migration is how far what earlier releases stored has been brought to this one's
// form. Times are Unix seconds.
type migration struct {
	Schema int    `json:"schema"`          // of that form
	Began  *int64 `json:"began,omitempty"` // not before a tick has begun it
	Pass   int    `json:"pass"`            // through everything, from 1
	Kind   string `json:"kind,omitempty"`  // of the rows that it has come to
	Found  int    `json:"found"`           // rows of an older form that this pass has met
	Total  int    `json:"total"`           // ... and all passes
	Next   *int64 `json:"next,omitempty"`  // when the next pass begins
	Ended  *int64 `json:"ended,omitempty"` // not while it goes on
}

func showMigration(m vault.Migration) migration {
	return migration{
		Schema: m.Schema, Began: timeOrNone(m.Began), Pass: m.Pass, Kind: m.Kind, Found: m.Found, Total: m.Total,
		Next: timeOrNone(m.Next), Ended: timeOrNone(m.Ended),
	}
}
