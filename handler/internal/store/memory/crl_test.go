package memory_test

import (
	"testing"

	"github.com/certwright/certwright/handler/internal/store"
	"github.com/certwright/certwright/handler/internal/store/memory"
	"github.com/certwright/certwright/handler/internal/store/storetest"
)

func TestCRLsKeepTheContract(t *testing.T) {
	t.Parallel()
	storetest.CRLContract(t, func(*testing.T) store.CRLs { return new(memory.CRLs) })
}
