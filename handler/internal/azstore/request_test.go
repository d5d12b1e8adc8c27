package azstore_test

// What the store sends and what it stores, on the wire.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/google/go-cmp/cmp"

	"github.com/certwright/certwright/handler/internal/azstore"
	"github.com/certwright/certwright/handler/internal/store"
)

// counting returns a change of configuration that counts the requests sent.
func counting(requests *atomic.Int64) func(*azstore.Config) {
	return func(cfg *azstore.Config) {
		cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
			requests.Add(1)
			return http.DefaultTransport.RoundTrip(r)
		})
	}
}

func action(verb store.Verb, key, doc string) store.Action {
	return store.Action{Verb: verb, Row: store.Row{Key: key, Doc: []byte(doc)}}
}

func adds(prefix string, n int) store.Tx {
	var tx store.Tx
	for i := range n {
		tx.Actions = append(tx.Actions, action(store.Add, fmt.Sprintf("%s%04d", prefix, i), `1`))
	}
	return tx
}

func TestOneRequestPerCall(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var requests atomic.Int64
	st := open(t, counting(&requests))
	commit := func(actions ...store.Action) func() error {
		return func() error {
			_, err := st.Commit(ctx, store.Tx{Actions: actions})
			return err
		}
	}
	scan := func(r store.Range) func() error {
		return func() error {
			_, err := st.Scan(ctx, r)
			return err
		}
	}
	// The table and the container are there before the count begins.
	if err := commit(action(store.Add, "c:replaced", `1`), action(store.Add, "c:deleted", `1`))(); err != nil {
		t.Fatal(err)
	}
	if err := st.PutBlob(ctx, "a/1.pem", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 11 {
		if err := commit(adds(fmt.Sprintf("d:%02d:", i), store.MaxActions).Actions...)(); err != nil {
			t.Fatal(err)
		}
	}
	withETag := func(verb store.Verb, key string) store.Action {
		row, err := st.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return store.Action{Verb: verb, Row: row}
	}
	replacing, deleting := withETag(store.Replace, "c:replaced"), withETag(store.Delete, "c:deleted")

	for _, test := range []struct {
		name string
		call func() error
		want int64
	}{
		{"get", func() error { _, err := st.Get(ctx, "c:replaced"); return err }, 1},
		{"add", commit(action(store.Add, "c:added", `1`)), 1},
		{"put", commit(action(store.Put, "c:put", `1`)), 1},
		{"replace", commit(replacing), 1},
		{"delete", commit(deleting), 1},
		{"remove", commit(action(store.Remove, "c:put", ``)), 1},
		{"transaction", commit(action(store.Add, "c:1", `1`), action(store.Remove, "c:added", ``)), 1},
		{"scan of an empty range", scan(store.Range{From: "e:", To: "e;", Limit: 10}), 1},
		{"scan of a page", scan(store.Range{From: "d:", To: "d;", Limit: 25}), 1},
		{"scan of a thousand", scan(store.Range{From: "d:", To: "d;", Limit: 1000}), 1},
		{"scan of more", scan(store.Range{From: "d:", To: "d;", Limit: 2000}), 2},
		{"put blob", func() error { return st.PutBlob(ctx, "a/2.pem", nil) }, 1},
		{"get blob", func() error { _, err := st.GetBlob(ctx, "a/2.pem"); return err }, 1},
		{"delete blob", func() error { return st.DeleteBlob(ctx, "a/2.pem") }, 1},
	} {
		requests.Store(0)
		if err := test.call(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := requests.Load(); got != test.want {
			t.Errorf("%s: %d requests, want %d", test.name, got, test.want)
		}
	}
}

// The service would send a new row back whole.
func TestAddedRowIsNotEchoed(t *testing.T) {
	t.Parallel()
	var answers []string
	store := open(t, func(cfg *azstore.Config) {
		cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
			response, err := http.DefaultTransport.RoundTrip(r)
			if err == nil {
				answers = append(answers, fmt.Sprint(response.StatusCode))
			}
			return response, err
		})
	})
	for i := range 2 { // the first may have to make the table
		answers = nil
		if etag, err := store.Commit(t.Context(), adds(fmt.Sprint("c:", i), 1)); err != nil || etag == "" {
			t.Fatalf("adding a row: ETag %q, %v", etag, err)
		}
	}
	if diff := cmp.Diff([]string{"204"}, answers); diff != "" {
		t.Errorf("answers to an added row (-want +got):\n%s", diff)
	}
}

// rawTable is the table of a store as the SDK sees it.
func rawTable(t *testing.T, name string) *aztables.Client {
	t.Helper()
	service, err := aztables.NewServiceClientFromConnectionString(storage.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return service.NewClient(name)
}

// The shape of a stored row is read by other releases.
func TestRowsAsStored(t *testing.T) {
	t.Parallel()
	table := newName()
	st := open(t, func(cfg *azstore.Config) { cfg.Table, cfg.VaultID = table, "v1" })
	doc := `"` + strings.Repeat("x", 31_999) + "\U0001F600" + strings.Repeat("y", 40_000) + `"`
	whole := store.Row{Key: "c:c", Doc: []byte(`{}`), Mac: "1:r:m", Summary: []byte(`{"n":1}`), SummaryMac: "1:r:s"}
	for _, row := range []store.Row{{Key: "c:a", Label: "ca1", Doc: []byte(`{"schema":1}`)}, {Key: "c:b", Doc: []byte(doc)}, whole} {
		if _, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{{Verb: store.Add, Row: row}}}); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]map[string]any{
		"c:a": {"PartitionKey": "v1", "RowKey": "c:a", "Label": "ca1", "Doc": `{"schema":1}`},
		"c:b": {"PartitionKey": "v1", "RowKey": "c:b", "Label": "", "Doc": doc[:32_000], "Doc1": doc[32_000:64_002], "Doc2": doc[64_002:]},
		"c:c": {"PartitionKey": "v1", "RowKey": "c:c", "Label": "", "Doc": `{}`, "Mac": "1:r:m", "Summary": `{"n":1}`, "SummaryMac": "1:r:s"},
	} {
		answer, err := rawTable(t, table).GetEntity(t.Context(), "v1", key, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(answer.Value, &got); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"odata.metadata", "odata.etag", "Timestamp"} {
			delete(got, name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row %q (-want +got):\n%s", key, diff)
		}
	}
}

func TestChainsAsStored(t *testing.T) {
	t.Parallel()
	name := newName()
	store := open(t, func(cfg *azstore.Config) { cfg.Container = name })
	if err := store.PutBlob(t.Context(), "a/1.pem", []byte("pem")); err != nil {
		t.Fatal(err)
	}
	blobs, err := azblob.NewClientFromConnectionString(storage.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := blobs.ServiceClient().NewContainerClient(name).NewBlobClient("a/1.pem").GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *answer.ContentType, "application/pem-certificate-chain"; got != want {
		t.Errorf("media type of a chain: %q, want %q", got, want)
	}
}

func TestForeignPropertiesAreIgnored(t *testing.T) {
	t.Parallel()
	table := newName()
	st := open(t, func(cfg *azstore.Config) { cfg.Table, cfg.VaultID = table, "v1" })
	if _, err := st.Commit(t.Context(), adds("c:", 1)); err != nil { // makes the table
		t.Fatal(err)
	}
	entity := `{"PartitionKey":"v1","RowKey":"c:x","Label":"l","Doc":"{}","Doc2":"apart","Note":"by hand","Count":7,"Big":"8","Big@odata.type":"Edm.Int64"}`
	if _, err := rawTable(t, table).AddEntity(t.Context(), []byte(entity), nil); err != nil {
		t.Fatal(err)
	}
	row, err := st.Get(t.Context(), "c:x")
	if err != nil {
		t.Fatal(err)
	}
	row.ETag = ""
	if diff := cmp.Diff(store.Row{Key: "c:x", Label: "l", Doc: []byte(`{}`)}, row); diff != "" {
		t.Errorf("row with foreign properties (-want +got):\n%s", diff)
	}
}

// A row without a document is found by nobody and stops no scan.
func TestRowWithoutADocument(t *testing.T) {
	t.Parallel()
	st, table := openBoth(t)
	for i, entity := range []string{
		`{"PartitionKey":"v1","RowKey":"c:x0"}`,
		`{"PartitionKey":"v1","RowKey":"c:x1","Doc":7}`,
		`{"PartitionKey":"v1","RowKey":"c:x2","Doc1":"{}"}`,
		`{"PartitionKey":"v1","RowKey":"c:x3","Doc":""}`,
	} {
		if _, err := table.AddEntity(t.Context(), []byte(entity), nil); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint("c:x", i)
		if _, err := st.Get(t.Context(), key); !errors.Is(err, store.ErrNotAuthentic) {
			t.Errorf("getting row %q: %v, want ErrNotAuthentic", key, err)
		}
	}
	if _, err := st.Commit(t.Context(), store.Tx{Actions: []store.Action{action(store.Add, "c:y", `1`)}}); err != nil {
		t.Fatal(err)
	}
	rows, err := st.Scan(t.Context(), store.Range{From: "c:x", To: "c:z", Limit: 10})
	if err != nil || len(rows) != 5 {
		t.Fatalf("a scan returns %d rows, %v; want 5", len(rows), err)
	}
	for i, row := range rows {
		if broken := i < 4; errors.Is(row.Err, store.ErrNotAuthentic) != broken || row.ETag == "" {
			t.Errorf("row %q was scanned with error %v and ETag %q", row.Key, row.Err, row.ETag)
		}
	}
}

func TestVaultsInOneTableAreApart(t *testing.T) {
	t.Parallel()
	table := newName()
	one := open(t, func(cfg *azstore.Config) { cfg.Table, cfg.VaultID = table, "v1" })
	two := open(t, func(cfg *azstore.Config) { cfg.Table, cfg.VaultID = table, "v1x" })
	for _, store := range []*azstore.Store{one, two} {
		if _, err := store.Commit(t.Context(), adds("c:", 3)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.Commit(t.Context(), store.Tx{Actions: []store.Action{action(store.Remove, "c:0000", ``), action(store.Remove, "c:0001", ``)}}); err != nil {
		t.Fatal(err)
	}
	for st, want := range map[*azstore.Store]int{one: 1, two: 3} {
		rows, err := st.Scan(t.Context(), store.Range{From: " ", To: "~", Limit: 10})
		if err != nil || len(rows) != want {
			t.Errorf("a vault holds %d rows (%v), want %d", len(rows), err, want)
		}
	}
}

// Azure may end a page before its first row; Azurite never does.
func TestScanGoesOnAfterEmptyPages(t *testing.T) {
	t.Parallel()
	pages := []struct {
		next string
		keys []string
	}{
		{"c:b", nil}, {"c:c", []string{"c:b"}}, {"c:d", nil}, {"c:e", []string{"c:c", "c:d"}}, {"", nil},
	}
	var asked []string
	st := open(t, func(cfg *azstore.Config) {
		cfg.VaultID = "v1"
		cfg.HTTPClient = client(func(r *http.Request) (*http.Response, error) {
			q := r.URL.Query()
			page := pages[len(asked)]
			asked = append(asked, fmt.Sprintf("%s|%s|%s", q.Get("NextRowKey"), q.Get("$top"), q.Get("$filter")))
			var entities []string
			for _, key := range page.keys {
				entities = append(entities, fmt.Sprintf(`{"odata.etag":"W/\"1\"","PartitionKey":"v1","RowKey":%q,"Label":"l","Doc":"1"}`, key))
			}
			header := http.Header{"Content-Type": {"application/json"}}
			if page.next != "" {
				header.Set("x-ms-continuation-NextPartitionKey", "v1")
				header.Set("x-ms-continuation-NextRowKey", page.next)
			}
			return answer(r, 200, header, `{"value":[`+strings.Join(entities, ",")+`]}`), nil
		})
	})
	rows, err := st.Scan(t.Context(), store.Range{From: "c:", To: "c;", Labels: []string{"l", "m"}, Limit: 9})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	if diff := cmp.Diff([]string{"c:b", "c:c", "c:d"}, keys); diff != "" {
		t.Errorf("keys of all pages (-want +got):\n%s", diff)
	}
	const rest = "|9|PartitionKey eq 'v1' and RowKey ge 'c:' and RowKey lt 'c;' and (Label eq 'l' or Label eq 'm')"
	if diff := cmp.Diff([]string{rest, "c:b" + rest, "c:c" + rest, "c:d" + rest, "c:e" + rest}, asked); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
}

// answer is what a service sends back for r.
func answer(r *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}
