// The recordings that are answered differently.

package functionshost_test

const (
	goIgnoresBody = "Go's client does not look at a body that the status rules out"
	goUnfolds     = "Go's client makes one space of a folded line, .NET's three"
	goMergesSizes = "Go's client takes two equal Content-Lengths for one, .NET's proxy and forwarder cannot"
	goKnowsChunks = "Go's client knows no transfer coding but chunked; .NET's drops or mangles the others"
	goForbids     = "Go's client does not send a header value with control characters"
	noHTTP2       = "the stand-in does not speak HTTP/2, whose preface Kestrel answers with a frame"
)

// different lists the vectors, and the mode, that the stand-in does not answer
// as recorded, because it is built on Go's HTTP library, with the reason.
var different = map[string]string{
	"answers-051 proxy":       goIgnoresBody,
	"answers-051 forward":     goIgnoresBody,
	"answers-059 forward":     "Go's client drops a Content-Length beside Transfer-Encoding, with which .NET's then breaks the answer",
	"answers-062 proxy":       goKnowsChunks,
	"answers-062 forward":     goKnowsChunks,
	"answers-088 proxy":       "the client gets the same 500, but Go's client refuses the whole answer, so that it is asked for again",
	"answers-089 proxy":       goUnfolds,
	"answers-089 forward":     goUnfolds,
	"answers-107 proxy":       goMergesSizes,
	"answers-107 forward":     goMergesSizes,
	"answers-109 forward":     "Go's client refuses a Content-Length that is not a number, .NET's reads to the end",
	"connections-017 proxy":   noHTTP2,
	"connections-017 forward": noHTTP2,
	"headers-030 proxy":       goForbids,
	"headers-030 forward":     goForbids,
	"headers-031 proxy":       goForbids,
	"headers-031 forward":     goForbids,
	"methods-017 forward":     "Go's client sends CONNECT with an authority only, .NET's with one that it makes up, and waits for ever",
}

// racing are vectors whose handler closes while the body is on its way. Which
// of both comes first is the system's choice, so that one of some tries must be
// as recorded.
var racing = []string{"bodies-092", "bodies-093", "bodies-094"}

// racingTries is the number of those.
const racingTries = 5
