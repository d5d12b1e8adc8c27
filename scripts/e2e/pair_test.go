package e2e

// Two handlers on one storage.

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// rivals is how many of each kind of encounter the two handlers have.
const rivals = 12

// TestTwoHandlers: two hosts with a handler each serve one vault at the same time,
// and the timers of both tick. What both are asked to do at once is done once.
func TestTwoHandlers(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.hosts[0].api.must(t, http.MethodPut, "/certificates/issuers/ca"+apiVersion, `{"provider":"Test"}`)
	for name, encounter := range map[string]func(*testing.T, string){
		"create and create": p.createBoth,
		"merge and merge":   p.mergeBoth,
		"poll and poll":     p.pollBoth,
		"tick and tick":     p.tickBoth,
		"cancel and tick":   p.cancelAndTick,
		"delete and merge":  p.deleteAndMerge,
	} {
		for range rivals {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				encounter(t, newVaultID())
			})
		}
	}
}

// pair is two hosts with one vault.
type pair struct {
	backend *backend
	ca      *authority
	hosts   [2]*host
}

func newPair(t *testing.T) *pair {
	p := &pair{backend: need(t, sharedBackend), ca: need(t, certificateAuthority)}
	vaultID := newVaultID()
	for i := range p.hosts {
		p.hosts[i] = p.backend.start(t, hostConfig{vaultID: vaultID, schedule: "* * * * * *"})
	}
	return p
}

// both sends a request to each of the two at once.
func (p *pair) both(t *testing.T, method, target string, bodies [2]string) (answers [2]answer) {
	var both sync.WaitGroup
	for i, h := range p.hosts {
		both.Go(func() {
			var err error
			if answers[i], err = h.api.do(t.Context(), method, target, bodies[i]); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	return answers
}

// oneOf is the index of the answer with the status, of which there must be exactly
// one; the other must be a refusal by Key Vault's rules.
func oneOf(t *testing.T, answers [2]answer, status int) int {
	won := slices.IndexFunc(answers[:], func(a answer) bool { return a.status == status })
	if won < 0 {
		t.Errorf("neither has won: %v; %v", answers[0].refusal(), answers[1].refusal())
		return 0
	}
	if lost := answers[1-won]; lost.status < 400 || lost.status >= 500 || lost.code() == "" {
		t.Errorf("the other got %v", lost.refusal())
	}
	return won
}

// create starts an operation at the first of the two.
func (p *pair) create(t *testing.T, name, issuer string) claim {
	return claimed(t, name, issuer, p.hosts[0].api.must(t, http.MethodPost, "/certificates/"+name+"/create"+apiVersion, policy(issuer)))
}

func claimed(t *testing.T, name, issuer string, created answer) claim {
	var pending operation
	if err := created.into(&pending); err != nil {
		t.Error(err)
	}
	return claim{name: name, issuer: issuer, requestID: pending.RequestID, csr: pending.CSR}
}

// completed waits for the end of the operation and checks the certificate.
func (p *pair) completed(t *testing.T, c claim) {
	if status := p.end(t, c.name); status != "completed" {
		t.Errorf("the operation of %s is %s", c.name, status)
		return
	}
	if err := p.backend.check(t.Context(), p.hosts[1].api, c); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
}

// end asks both until the operation has ended, and returns how.
func (p *pair) end(t *testing.T, name string) (status string) {
	eventually(t, endWait, "the end of the operation of "+name, func() error {
		for _, got := range p.both(t, http.MethodGet, "/certificates/"+name+"/pending"+apiVersion, [2]string{}) {
			var pending operation
			if err := got.into(&pending); err != nil {
				return err
			}
			if status = pending.Status; status == "inProgress" {
				return fmt.Errorf("it is %s", status)
			}
		}
		return nil
	})
	return status
}

// createBoth: the issuer is Unknown, so that the operation of the faster is in
// progress however late the other comes.
func (p *pair) createBoth(t *testing.T, name string) {
	answers := p.both(t, http.MethodPost, "/certificates/"+name+"/create"+apiVersion, [2]string{policy("Unknown"), policy("Unknown")})
	c := claimed(t, name, "Unknown", answers[oneOf(t, answers, http.StatusAccepted)])
	leaf, err := p.ca.sign(c.csr)
	if err != nil {
		t.Fatal(err)
	}
	c.leaf = leaf
	p.hosts[1].api.must(t, http.MethodPost, "/certificates/"+name+"/pending/merge"+apiVersion, mergeBody(leaf))
	p.completed(t, c)
}

func (p *pair) mergeBoth(t *testing.T, name string) {
	c := p.create(t, name, "Unknown")
	var leaves [2][]byte
	var bodies [2]string
	for i := range leaves {
		leaf, err := p.ca.sign(c.csr)
		if err != nil {
			t.Error(err)
			return
		}
		leaves[i], bodies[i] = leaf, mergeBody(leaf)
	}
	won := oneOf(t, p.both(t, http.MethodPost, "/certificates/"+name+"/pending/merge"+apiVersion, bodies), http.StatusCreated)
	c.leaf = leaves[won]
	p.completed(t, c)
}

// pollBoth: a poll of an operation of Self takes its step.
func (p *pair) pollBoth(t *testing.T, name string) { p.completed(t, p.create(t, name, "Self")) }

// tickBoth: of the two, one takes the step.
func (p *pair) tickBoth(t *testing.T, name string) {
	c := p.create(t, name, "ca")
	p.completed(t, c)
	issued := 0
	for _, h := range p.hosts {
		for _, step := range h.handler.records("step") {
			if step.RequestID == c.requestID && step.Outcome == "issued" {
				issued++
			}
		}
	}
	if issued != 1 {
		t.Errorf("the issuer of %s has issued %d times", name, issued)
	}
}

// cancelAndTick: the wish to cancel comes when the step is due. Either wins, as a
// whole.
func (p *pair) cancelAndTick(t *testing.T, name string) {
	c := p.create(t, name, "ca")
	due := time.NewTimer(2 * time.Second)
	defer due.Stop()
	select {
	case <-due.C:
	case <-t.Context().Done():
	}
	got, err := p.hosts[1].api.do(t.Context(), http.MethodPatch, "/certificates/"+name+"/pending"+apiVersion, `{"cancellation_requested":true}`)
	if err != nil {
		t.Error(err)
		return
	}
	switch status := p.end(t, name); {
	case status == "completed":
		p.completed(t, c)
	case status == "cancelled" && got.status == http.StatusOK:
		var shell certificate
		var versions list
		latest := p.hosts[0].api.must(t, http.MethodGet, "/certificates/"+name+apiVersion, "")
		all := p.hosts[0].api.must(t, http.MethodGet, "/certificates/"+name+"/versions"+apiVersion, "")
		if err := latest.into(&shell); err != nil || shell.Leaf != nil || shell.Attributes.Enabled {
			t.Errorf("%s is cancelled and is %s, %v", name, latest.body, err)
		}
		if err := all.into(&versions); err != nil || len(versions.Value) != 0 {
			t.Errorf("%s is cancelled and has the versions %s, %v", name, all.body, err)
		}
	default:
		t.Errorf("%s is %s after a cancel that got %v", name, status, got.refusal())
	}
}

// deleteAndMerge: a certificate is deleted while it is merged. Whether the merge
// came first shows in what is recovered.
func (p *pair) deleteAndMerge(t *testing.T, name string) {
	c := p.create(t, name, "Unknown")
	leaf, err := p.ca.sign(c.csr)
	if err != nil {
		t.Error(err)
		return
	}
	var deleted, merged answer
	var both sync.WaitGroup
	both.Go(func() {
		deleted, err = p.hosts[0].api.do(t.Context(), http.MethodDelete, "/certificates/"+name+apiVersion, "")
	})
	var mergeErr error
	both.Go(func() {
		merged, mergeErr = p.hosts[1].api.do(t.Context(), http.MethodPost, "/certificates/"+name+"/pending/merge"+apiVersion, mergeBody(leaf))
	})
	both.Wait()
	if err != nil || mergeErr != nil || deleted.status != http.StatusOK {
		t.Errorf("deleting %s: %v, %v; merging: %v", name, deleted.refusal(), err, mergeErr)
		return
	}
	p.hosts[0].api.must(t, http.MethodPost, "/deletedcertificates/"+name+"/recover"+apiVersion, "")
	var recovered certificate
	if err := p.hosts[1].api.must(t, http.MethodGet, "/certificates/"+name+apiVersion, "").into(&recovered); err != nil {
		t.Error(err)
	}
	if (merged.status == http.StatusCreated) != (recovered.Leaf != nil) {
		t.Errorf("%s was merged with %v, and recovered it has %d bytes of a certificate", name, merged.refusal(), len(recovered.Leaf))
	}
	if merged.status == http.StatusCreated {
		c.leaf = leaf
		p.completed(t, c)
	}
}
