// Package golden holds no code. Its tests pin what this program has stored since
// release 0.1.0: row keys, labels, the members of every document, due rows, blob
// names, and the kinds and ids under which values are sealed. Fixtures in
// testdata/0.1.0 were written by that release; the program of today writes data
// of the same shape, and reads and carries on with the old data.
package golden
