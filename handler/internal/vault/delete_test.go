package vault_test

// Delete, recover and purge.

import (
	"context"
	"testing"
	"time"

	"github.com/certwright/certwright/handler/internal/vault"
)

func TestDeleteRecoverPurge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "Web")
	h.mustCreate("Web", "Self")
	h.mustTick()
	cert, err := h.Certificate(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	deleted, err := h.Delete(ctx, n)
	if err != nil || deleted.Deletion == nil || deleted.Version != cert.Version {
		t.Fatalf("Delete = %+v, %v", deleted, err)
	}
	if got := deleted.Deletion.PurgeAt.Sub(deleted.Deletion.At); got != 90*24*time.Hour {
		t.Errorf("purge is scheduled after %s", got)
	}
	for what, err := range map[string]error{
		"get":    second(h.Certificate(ctx, n)),
		"delete": second(h.Delete(ctx, n)),
	} {
		if reason(t, err) != vault.CertificateNotFound {
			t.Errorf("%s of a deleted certificate: %v, want CertificateNotFound", what, err)
		}
	}
	if _, err := h.Create(ctx, n, vault.CreateParams{Policy: policyFor("Self")}); reason(t, err) != vault.DeletedButRecoverable {
		t.Errorf("create on a deleted name: %v, want DeletedButRecoverable", err)
	}
	list, _, err := h.DeletedCertificates(ctx, vault.Page{Max: 25}, false)
	if err != nil || len(list) != 1 || list[0].Version != cert.Version || list[0].Name != "Web" || list[0].Deletion == nil {
		t.Errorf("DeletedCertificates = %+v, %v", list, err)
	}
	if list, _, err := h.Certificates(ctx, vault.Page{Max: 25}, true); err != nil || len(list) != 0 {
		t.Errorf("Certificates = %d, %v; want none", len(list), err)
	}
	recovered, err := h.Recover(ctx, n)
	if err != nil || recovered.Version != cert.Version || recovered.Deletion != nil {
		t.Errorf("Recover = %+v, %v", recovered, err)
	}
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	if err := h.Purge(ctx, n); err != nil {
		t.Fatal(err)
	}
	if left := h.store.Contents(); len(left.Blobs) != 0 || len(left.Rows) != 1 {
		t.Errorf("after the purge %d rows and %d blobs are left; want the heartbeat alone", len(left.Rows), len(left.Blobs))
	}
	if _, err := h.Deleted(ctx, n); reason(t, err) != vault.DeletedNotFound {
		t.Errorf("get deleted after the purge: %v, want DeletedNotFound", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestScheduledPurge(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "Self")
	h.mustTick()
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(90*24*time.Hour - time.Minute)
	h.mustTick()
	if _, err := h.Deleted(ctx, n); err != nil {
		t.Errorf("a minute before its purge date: %v", err)
	}
	h.clock.Advance(time.Minute)
	h.mustTick()
	if left := h.store.Contents(); len(left.Rows) != 1 {
		t.Errorf("after the purge date %d rows are left", len(left.Rows))
	}
}

func TestDeleteEndsTheOperation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil)
	h.mustScript("ca", "hold")
	ctx, n := context.Background(), name(t, "web")
	h.mustCreate("web", "ca")
	h.mustTick()
	if _, err := h.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	h.mustScript("ca", "issue")
	h.clock.Advance(time.Hour)
	h.mustTick()
	if _, err := h.Recover(ctx, n); err != nil {
		t.Fatal(err)
	}
	if op := h.mustOperation("web"); op.Status != vault.StatusCancelled {
		t.Errorf("operation of a recovered certificate is %s, want cancelled", op.Status)
	}
}
