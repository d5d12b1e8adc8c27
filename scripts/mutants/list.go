package main

// mutants are the changes. The first six survived once; the others are of the kinds
// that cost most when nobody notices: a certificate issued twice, an order forgotten,
// a renewal that does not come.
var mutants = []mutant{
	{
		name: "the time in a CA's window is drawn again at each question", file: "renewal.go",
		old: "a == nil || !a.Start.Equal(info.Start) || !a.End.Equal(info.End)", new: "a == nil || true",
		tests: "^TestAdviceIsDrawnOnce$",
	},
	{
		name: "reuse_key across another size", file: "create.go",
		old: "ver.Key.Size == p.Size && ver.Key.Curve", new: "ver.Key.Curve",
		tests: "^TestReuseNeedsTheSameKind$",
	},
	{
		name: "reuse_key across another curve", file: "create.go",
		old: "ver.Key.Size == p.Size && ver.Key.Curve == p.Curve", new: "(ver.Key.Size == p.Size || p.Curve != \"\")",
		tests: "^TestReuseNeedsTheSameKind$",
	},
	{
		name: "an operator's retry of a renewal is none", file: "actions.go",
		old: "			Renewal:         failed.Renewal,\n", new: "",
		tests: "^TestRetryOfARenewalIsOne$",
	},
	{
		name: "a revocation is not claimed", file: "revocation.go",
		old: "func (r *Revocation) claim(until time.Time) {\n	r.Due = until", new: "func (r *Revocation) claim(until time.Time) {\n	r.Due = until.Add(-lease)",
		tests: "^TestRevocationIsClaimed$",
	},
	{
		name: "a purge before its date", file: "delete.go",
		old: "h.Deletion == nil || v.now().Before(h.Deletion.PurgeAt)", new: "h.Deletion == nil",
		tests: "^TestNoPurgeBeforeItsDate$",
	},
	{
		name: "a lot takes all of a round", file: "tick.go",
		old: "taken[mine] == share || ", new: "",
		tests: "^TestShareOfALot$",
	},
	{
		name: "what cannot be kept is tried again", file: "advance.go",
		old: "return err != nil && !errors.Is(err, errLost) && !reasonOf(err).uncertain()", new: "return false",
		tests: "^TestWhatCannotBeKeptFailsOnce$",
	},
	{
		name: "create does not look for room", file: "create.go",
		old: "return h.checkRoom()", new: "return nil",
		tests: "^TestWhatIsAskedForCanBeKept$",
	},
	{
		name: "a leaf of any size", file: "complete.go",
		old: "len(leaf) > op.maxLeaf()", new: "false",
		tests: "^TestWhatCannotBeKeptFailsOnce$",
	},
	{
		name: "pauses of renewals do not fit the life", file: "renewal.go",
		old: "pause = min(pause, l.patience(now))", new: "_ = l",
		tests: "^(TestPausesFitTheLife|TestFailedRenewals)$",
	},
	{
		name: "renewals end with the version", file: "renewal.go",
		old: "!at.Before(l.Expires.Add(afterExpiry))", new: "!at.Before(l.Expires)",
		tests: "^(TestPausesFitTheLife|TestFailedRenewals)$",
	},
	{
		name: "a changed issuer resets no pause", file: "issuers.go",
		old: "if err == nil && changed {", new: "if false {",
		tests: "^TestPausesFitTheLife$",
	},
	{
		name: "days that there is no room for are due at issuance", file: "life.go",
		old: "at.Before(earliest)", new: "false && at.Before(earliest)",
		tests: "^TestNearExpiryOfShortLives$",
	},
	{
		name: "a restored version is not asked about", file: "expiry.go",
		old: "renewal{Version: l.ID, Ask: v.firstAsk(l)}", new: "renewal{Version: l.ID}",
		tests: "^TestRestoredIsAsked$",
	},
	{
		name: "the same certificate renews", file: "complete.go",
		old: "bytes.Equal(certs[0].Raw, h.Latest.Leaf)", new: "bytes.Equal(nil, h.Latest.Leaf)",
		tests: "^TestRenewalWithTheSameCertificate$",
	},
	{
		name: "an unknown provider leaves nothing behind", file: "release.go",
		old: "return releases || !known && !op.Manual()", new: "return releases || !known && false",
		tests: "^TestUnknownProviderPasses$",
	},
	{
		name: "the vault's storage pauses issuers", file: "gate.go",
		old: " || ours(out)", new: "",
		tests: "^(TestUnknownProviderPasses|TestStorageDoesNotPauseAnIssuer)$",
	},
	{
		name: "a late step replaces the one before", file: "operation.go",
		old: "op.Leftovers = append(slices.Clone(op.Leftovers), state)", new: "op.Leftover = state",
		tests: "^TestLateStepsJoinWhatIsReleased$",
	},
	{
		name: "a request that comes again is known without its content", file: "repeat.go",
		old: "r.ID, string(r.Content)}", new: "r.ID}",
		tests: "^TestRequestThatIsAnotherOne$",
	},
	{
		name: "a retry takes the key that was made for another", file: "actions.go",
		old: "failed.RequestID != madeOf", new: "false && failed.RequestID != madeOf",
		tests: "^TestRetryTakesItsOwnKey$",
	},
	{
		name: "a certificate that is not valid yet is asked for again", file: "advance.go",
		old: "if op.Held != nil {", new: "if op.Held != nil && false {",
		tests: "^TestClockOfTheCAIsAhead$",
	},
	{
		name: "no class is owed a turn", file: "tick.go",
		old: "owed && started == 0 || ", new: "",
		tests: "^TestNoClassStarves$",
	},
	{
		name: "a claim holds nobody off", file: "advance.go",
		old: "op.ClaimedUntil = now.Add(lease)\n		op.Claim++", new: "op.Claim++",
		tests: "^(TestDeadWorkerFreesItsOperation|TestFaults|TestStepThatCameTooLate)$",
	},
	{
		name: "a result is saved under any claim", file: "advance.go",
		old: "op.RequestID != mine.RequestID || op.Claim != mine.Claim ||", new: "op.RequestID != mine.RequestID ||",
		tests: "^TestStepThatCameTooLate$",
	},
	{
		name: "an ended operation is not released", file: "operation.go",
		old: "	v.releaseLater(tx, n, op)\n", new: "",
		tests: "^TestReleaseIsTriedAgain$",
	},
	{
		name: "a poll ends an operation at once", file: "operation.go",
		old: "const grace = 2 * time.Second", new: "const grace = 0 * time.Second",
		tests: "^TestSelfCompletesOnPoll$",
	},
}
