package vault

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/certwright/certwright/handler/internal/chain"
	"github.com/certwright/certwright/handler/internal/field"
	"github.com/certwright/certwright/handler/internal/policy"
	"github.com/certwright/certwright/handler/internal/provider"
	"github.com/certwright/certwright/handler/internal/store"
)

// renewal is what is remembered about renewing the latest version. When another
// becomes the latest, it begins anew.
type renewal struct {
	Version  string    `json:"version"`            // the latest one
	Failures int       `json:"failures,omitempty"` // renewals in a row that failed
	After    time.Time `json:"after,omitzero"`     // the next one is not begun before
	Reason   string    `json:"reason,omitempty"`   // why the last one failed
	Ask      time.Time `json:"ask,omitzero"`       // when to ask the CA when to renew; zero: it is not asked
	Advice   *advice   `json:"advice,omitempty"`   // what it said last
}

// advice is the window in which a CA wants a version to be renewed.
type advice struct {
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	At          time.Time `json:"at"` // chosen at random in the window, and kept as long as the window stays
	Explanation string    `json:"explanation,omitempty"`
}

// Times of renewals.
const (
	renewalGap    = 24 * time.Hour     // between a version and its renewal at least, whatever policy and CA say
	mergeTime     = 7 * 24 * time.Hour // left to a person after their operation failed or was cancelled
	lastDay       = 24 * time.Hour     // before expiry, when nothing is left to that person any more
	firstRetry    = time.Hour          // after a failed renewal; doubling
	maxRetry      = 24 * time.Hour
	afterExpiry   = 30 * 24 * time.Hour // for so long an expired version is tried to be renewed, daily; then it is left to people
	maxAskAgain   = 24 * time.Hour
	usualAskAgain = 6 * time.Hour
)

// renewAt is when the vault begins to renew the latest version; the zero time
// when it does not. It is the time of the policy's AutoRenew, or an earlier one
// that the CA advises. While an operation is in progress there is nothing to
// begin; a disabled version was taken out of use, and is not renewed.
func (h *head) renewAt() time.Time {
	l, op, r := h.Latest, h.Operation, h.Renewal
	if l == nil || r.Version != l.ID {
		return time.Time{}
	}
	action, renews := h.Policy.Action(policy.ActionAutoRenew)
	manual := strings.EqualFold(h.Policy.Issuer.Name, policy.IssuerUnknown)
	if !l.Enabled || !renews || manual || op != nil && op.Status == StatusInProgress {
		return time.Time{}
	}
	at := l.renewalTime(action)
	if r.Advice != nil && r.Advice.At.Before(at) {
		at = r.Advice.At
	}
	at = latestOf(at, l.Created.Add(min(renewalGap, l.life()/2)))
	if op != nil && op.Status != StatusCompleted && !op.Renewal {
		// Somebody may still merge a certificate for it.
		left := op.Ended.Add(mergeTime)
		if last := l.Expires.Add(-lastDay); last.Before(left) {
			left = last
		}
		at = latestOf(at, left)
	}
	if r.Failures > 0 {
		if at = latestOf(at, r.After); !at.Before(l.Expires.Add(afterExpiry)) {
			return time.Time{}
		}
	}
	return at
}

// renewalTime is when a policy wants a version renewed. Versions that were issued
// together are not renewed together: up to a tenth of what remains of a life is
// spread, by the version's random id.
func (ver *version) renewalTime(a policy.LifetimeAction) time.Time {
	at := ver.when(a)
	spread := ver.Expires.Sub(at) / 10
	return at.Add(time.Duration(ver.fraction() * float64(spread))).Truncate(time.Millisecond)
}

// fraction is a number from 0 to 1 that the version has for good.
func (ver *version) fraction() float64 {
	var b [8]byte
	hex.Decode(b[:], []byte(ver.ID[:16])) // 32 hex digits
	return fraction(b)
}

// fraction spreads what 8 bytes can be from 0 to 1.
func fraction(b [8]byte) float64 { return float64(binary.BigEndian.Uint64(b[:])) / (1 << 64) }

// askAgain is how long not to ask a CA again for advice on a version.
func (ver *version) askAgain() time.Duration { return min(usualAskAgain, ver.life()/10) }

// renewalDue is the next thing to do about renewing the latest version: to ask
// its CA, or to begin.
func (h *head) renewalDue(n Name) []due {
	at := h.renewAt()
	if at.IsZero() {
		return nil
	}
	if ask := h.Renewal.Ask; !ask.IsZero() && ask.Before(at) {
		at = ask
	}
	return []due{{classRenew, at, n.key(), kindRenew, h.Policy.Issuer.Name}}
}

// renew asks the CA of the latest version when to renew it, if it is time to
// ask, and begins the renewal, if it is time for that. It reports whether one was
// begun.
func (v *Vault) renew(ctx context.Context, n Name, issuers *issuerCache) (bool, error) {
	h, err := v.head(ctx, n)
	if err != nil {
		return false, err
	}
	now := v.now()
	if h.checkLive(n) != nil || !h.isDue(n, kindRenew, now) {
		return false, errLost
	}
	if at := h.Renewal.Ask; !at.IsZero() && !now.Before(at) {
		if h, err = v.takeAdvice(ctx, n, h, issuers); err != nil {
			return false, err
		}
	}
	if at := h.renewAt(); at.IsZero() || now.Before(at) {
		return false, nil
	}
	return true, v.beginRenewal(ctx, n, h)
}

// beginRenewal begins an operation as Create does, with the certificate's policy
// and the latest version's tags. What Create would refuse is a failed
// renewal.
func (v *Vault) beginRenewal(ctx context.Context, n Name, h *head) error {
	requestID := v.newID()
	h, err := v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		now := v.now()
		if at := h.renewAt(); h.checkLive(n) != nil || at.IsZero() || now.Before(at) {
			return errLost
		}
		var made *newKey // for the policy as it is on this head
		err := v.begin(ctx, n, h, tx, Operation{
			RequestID:     requestID,
			Policy:        h.Policy,
			Tags:          maps.Clone(h.Latest.Tags),
			PreserveOrder: h.Latest.PreserveOrder,
			Created:       now,
			Renewal:       true,
		}, &made)
		if refused, ok := errors.AsType[*field.Error](err); ok {
			v.renewalFailed(h, refused.Field+": "+refused.Detail)
			e := h.event(EventOperationFailed)
			e.Renewal, e.Code, e.Message = true, provider.CodeIssuerError, h.Renewal.Reason
			v.tell(tx, e)
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !h.Operation.matches(requestID):
		v.cfg.Log.WarnContext(ctx, "renewal not begun", "certificate", n.text, "issuer", h.Policy.Issuer.Name, "reason", h.Renewal.Reason, "again", h.Renewal.After)
	default:
		v.cfg.Log.InfoContext(ctx, "renewal begun", "certificate", n.text, "issuer", h.Policy.Issuer.Name, "request_id", requestID, "expires", h.Latest.Expires)
	}
	return nil
}

// renewalFailed puts the next renewal of h off: one of the latest version came to
// nothing.
func (v *Vault) renewalFailed(h *head, reason string) {
	r, now := &h.Renewal, v.now()
	r.Failures++
	r.Reason = words(reason)
	pause := min(firstRetry<<min(r.Failures-1, 10), maxRetry)
	pause += pause / 3 // a quarter off leaves the pause
	if l := h.Latest; l != nil && now.Before(l.Expires) {
		pause = min(pause, l.patience(now))
	} else {
		pause = maxRetry + maxRetry/3
	}
	r.After = now.Add(v.jitter(pause))
}

// forgive has the next renewal of h begin at its time: what made the last ones fail
// may be mended.
func (h *head) forgive() { h.Renewal.Failures, h.Renewal.After = 0, time.Time{} }

// setPolicy gives h another policy, which may be what its renewals that failed were
// waiting for.
func (h *head) setPolicy(p policy.Policy) {
	old, new := h.Policy, p
	old.Created, old.Updated = new.Created, new.Updated
	if !reflect.DeepEqual(old, new) {
		h.forgive()
	}
	h.Policy = p
}

// forgiveIssuer does so for all certificates whose policy names an issuer, which was
// changed. That it fails delays them, by what they would have waited anyway.
func (v *Vault) forgiveIssuer(ctx context.Context, issuer string) {
	ctx, cancel := context.WithTimeout(ownWork(ctx), stepDeadline)
	defer cancel()
	r := store.Within(duePrefix(classRenew), duePage)
	r.To = fmt.Sprintf("%s%013d;", duePrefix(classRenew), v.now().Add(maxRetry+maxRetry/3).UnixMilli())
	for {
		rows, err := v.cfg.Store.Scan(ctx, r)
		if err != nil {
			v.cfg.Log.WarnContext(ctx, "renewals that failed are not begun at once", "issuer", issuer, "error", err)
			return
		}
		for _, row := range rows {
			if !strings.EqualFold(row.Label, issuer) || !strings.HasSuffix(row.Key, ":"+kindRenew) {
				continue
			}
			d, err := parseDue(row)
			if err == nil {
				_, err = v.change(ctx, Name{d.name}, func(h *head, _ *store.Tx) error {
					if h.checkLive(Name{d.name}) != nil || h.Renewal.Failures == 0 || !strings.EqualFold(h.Policy.Issuer.Name, issuer) {
						return errLost
					}
					h.forgive()
					return nil
				})
			}
			if err != nil && !errors.Is(err, errLost) {
				v.cfg.Log.WarnContext(ctx, "a renewal that failed is not begun at once", "row", row.Key, "issuer", issuer, "error", err)
			}
		}
		if len(rows) < duePage {
			return
		}
		r.From = rows[len(rows)-1].Key + "!"
	}
}

// takeAdvice asks the CA of the latest version when to renew it, and keeps what
// it says. The time in the window is chosen once; a CA that cannot be asked does
// not keep the policy from its time.
//
// RFC 9773 sections 4.2 and 4.3.
func (v *Vault) takeAdvice(ctx context.Context, n Name, h *head, issuers *issuerCache) (*head, error) {
	asked := h.Renewal.Ask
	info, askErr := v.renewalInfo(ctx, n, h.Latest, issuers)
	if askErr != nil && !errors.Is(askErr, errors.ErrUnsupported) {
		v.cfg.Log.WarnContext(ctx, "no advice on renewal", "certificate", n.text, "issuer", h.Latest.Issuer, "error", askErr)
	}
	return v.changeFrom(ctx, n, h, func(h *head, tx *store.Tx) error {
		r := &h.Renewal
		if h.checkLive(n) != nil || !r.Ask.Equal(asked) {
			return errLost // another worker asked, or there is another version
		}
		again := h.Latest.askAgain()
		switch {
		case errors.Is(askErr, errors.ErrUnsupported):
			again = maxAskAgain
		case askErr == nil:
			again = min(max(info.Again, again), maxAskAgain)
			if a := r.Advice; a == nil || !a.Start.Equal(info.Start) || !a.End.Equal(info.End) {
				r.Advice = &advice{Start: info.Start, End: info.End, At: v.between(info.Start, info.End)}
			}
			r.Advice.Explanation = field.Cut(info.Explanation, maxExplanation)
		}
		r.Ask = v.now().Add(again)
		return nil
	})
}

// maxExplanation bounds a CA's URL for people, in bytes.
const maxExplanation = 512

// renewalInfo asks the issuer object that obtained a version.
func (v *Vault) renewalInfo(ctx context.Context, n Name, ver *version, issuers *issuerCache) (info provider.RenewalInfo, err error) {
	defer v.recovered(ctx, "provider", ver.Provider, &err, "certificate", n.text)
	ctx, cancel := context.WithTimeout(ctx, stepDeadline)
	defer cancel()
	issuer, object, err := v.pinnedIssuer(ctx, pin{ver.Issuer, ver.Provider, ver.IssuerID}, ver.Created, issuers)
	if _, lost := errors.AsType[issuerLost](err); lost { // after a restore, say, it is another of the same name and provider
		var id string
		if id, err = v.successor(ctx, n, ver.Issuer, ver.Provider); err == nil {
			issuer, object, err = v.pinnedIssuer(ctx, pin{ver.Issuer, ver.Provider, id}, ver.Created, issuers)
		}
	}
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	adviser, ok := issuer.(provider.RenewalAdviser)
	if !ok {
		return provider.RenewalInfo{}, errors.ErrUnsupported
	}
	leaf, err := chain.Parse([][]byte{ver.Leaf})
	if err != nil {
		return provider.RenewalInfo{}, err
	}
	info, err = adviser.RenewalInfo(ctx, object, leaf[0])
	if err == nil && (info.Start.IsZero() || !info.End.After(info.Start)) {
		err = fmt.Errorf("the CA advises the impossible window from %s to %s", info.Start, info.End)
	}
	return info, err
}

// firstAsk is when to ask the CA of a new version first; the zero time when it
// gives no advice.
func (v *Vault) firstAsk(ver *version) time.Time {
	if _, ok := v.cfg.Providers[ver.Provider].(provider.RenewalAdviser); !ok {
		return time.Time{}
	}
	return ver.Created.Add(ver.askAgain())
}

// between is a random time from start until end.
func (v *Vault) between(start, end time.Time) time.Time {
	var b [8]byte
	v.fill(b[:])
	return start.Add(time.Duration(fraction(b) * float64(end.Sub(start)))).UTC().Truncate(time.Millisecond)
}
