package providertest

// The suite accepts a sound provider and finds each defect.

import (
	"strings"
	"testing"
)

func TestIssuerContract(t *testing.T) {
	t.Parallel()
	IssuerContract(t, openDesk(defects{}))
}

// Whatever a provider can do wrong, some trial finds.
func TestIssuerContractFinds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		defects
		group, want string
	}{
		{"orders blindly", defects{ordersBlindly: true}, "killed", "orders for one operation"},
		{"remembers in its process", defects{remembersAlone: true}, "killed", "orders for one operation"},
		{"forgets its state", defects{ordersBlindly: true, forgetsState: true}, "", "orders for one operation"},
		{"does not look twice", defects{ordersBlindly: true}, "each step twice", "orders for one operation"},
		{"relies on its claim", defects{ordersBlindly: true}, "two workers", "orders for one operation"},
		{"loses a reply", defects{ordersBlindly: true}, "faults", "orders for one operation"},
		{"gives up", defects{givesUp: true}, "faults", "the operation is failed"},
		{"despairs", defects{despairs: true}, "faults", "no end"},
		{"follows redirects", defects{followsRedirects: true}, "faults", "where a redirect led"},
		{"reads everything", defects{readsAll: true}, "faults", "an endless answer was read"},
		{"has no deadline", defects{hasNoDeadline: true}, "faults", "after the deadline"},
		{"leaves orders", defects{leaves: true}, "given up", "nobody will take back"},
		{"leaves orders after an error", defects{leavesAfterErrors: true}, "release", "nobody will take back"},
		{"logs the token", defects{logsToken: true}, "", "secret 0 is logged"},
		{"keeps the token", defects{keepsToken: true}, "", "secret 0 is readable in row"},
		{"returns another certificate", defects{returnsOther: true}, "", "the operation is failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			found := firstFailure(t, openDesk(c.defects), c.group)
			if found == nil || !strings.Contains(found.Error(), c.want) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
}

// firstFailure measures, and runs the trials of a group up to the first that
// fails.
func firstFailure(t *testing.T, open opener, name string) error {
	run, err := measure(t, open)
	if err != nil {
		return err
	}
	for _, group := range run.groups() {
		for _, trial := range group.trials {
			if group.name != name {
				continue
			}
			if err := trial.in(t, open); err != nil {
				t.Logf("found by %s/%s", group.name, trial.name)
				return err
			}
		}
	}
	return nil
}
