package oracle

// Arena is memory for one buffer that begins, or ends, where memory does: on Linux the test process dies when it reads or writes a
// byte beyond. Elsewhere it is plain memory.
type Arena []byte

// First returns the first n bytes; nothing may be touched before them.
func (a Arena) First(n int) []byte { return a[:n:n] }

// Last returns the last n bytes; nothing may be touched behind them.
func (a Arena) Last(n int) []byte { return a[len(a)-n:] }
