package acme_test

// Files of HTTP-01, kept as rows.

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/certwright/certwright/handler/internal/provider/acme"
	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
)

func TestChallenges(t *testing.T) {
	t.Parallel()
	challenges := acme.Challenges{Store: new(memory.Store)}
	ctx := context.Background()
	for range 2 {
		if err := challenges.Put(ctx, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "token.thumbprint"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := challenges.Get(ctx, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"); got != "token.thumbprint" || err != nil {
		t.Errorf("Get = %q, %v", got, err)
	}
	for range 2 {
		if err := challenges.Remove(ctx, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"); err != nil {
			t.Error(err)
		}
	}
	for _, token := range []string{"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "", "../c:web", "a b", strings.Repeat("a", 129)} {
		if got, err := challenges.Get(ctx, token); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%q) = %q, %v; want ErrNotFound", token, got, err)
		}
	}
	if err := challenges.Put(ctx, "../c:web", "x"); err == nil {
		t.Error("a token that is not base64url was published")
	}
}
