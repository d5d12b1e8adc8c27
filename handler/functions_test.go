package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestTicksInTurn: a call that looks like the timer's, whoever made it, begins no
// tick beside another or right after it.
func TestTicksInTurn(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	f := &functions{now: func() time.Time { return now }} // without an app, so that a tick would panic
	if !f.begin() {
		t.Fatal("the first tick may not begin")
	}
	call := func() {
		t.Helper()
		w := httptest.NewRecorder()
		f.tick(w, httptest.NewRequest(http.MethodPost, "/"+timerFunction, strings.NewReader(`{"Data":{"timer":{}}}`)))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Outputs") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	now = now.Add(time.Minute)
	call() // beside it
	f.end()
	now = now.Add(tickPause - 1)
	call() // right after it
	now = now.Add(1)
	if !f.begin() {
		t.Error("a tick may not begin when the last one has ended")
	}
}
