package zmap

import (
	"fmt"

	"github.com/laminafs/lamina/internal/disk"
)

// Check reports what is wrong with the index in more places than reading the file meets: every distance and
// every block count of every lcluster. It looks at each entry once. Records have nothing that From does not
// look at. An error that makes an entry unreadable ends it, as does report by returning false.
func (m *Map) Check(report func(error) bool) {
	if m.form != fullIndex && m.form != compactIndex {
		return
	}
	c := checker{walker: walker{m: m}}
	for lcn := int64(0); lcn < m.count; lcn++ {
		e, err := c.entry(lcn)
		if err != nil {
			report(err)
			return
		}
		if err := c.next(lcn, &e); err != nil && !report(err) {
			return
		}
	}
}

// checker goes over the entries of an index.
type checker struct {
	walker
	head  int64 // number of the last head
	reach int64 // what the distances ahead of the entries behind it lead to at most
}

func (c *checker) next(lcn int64, e *entry) error {
	m := c.m
	if e.head() {
		reach := c.reach
		c.head, c.reach = lcn, 0
		if lcn == 0 && e.ofs != 0 {
			return m.badEntry(e, lcn, "clusterofs", e.ofs, "bytes in front of the first extent")
		}
		if reach > lcn {
			return m.badEntry(e, lcn, "distance ahead", reach, fmt.Sprintf("an entry before leads past this %v", e.kind))
		}
		return nil
	}
	c.reach = max(c.reach, lcn+int64(e.ahead))
	switch back := lcn - c.head; {
	case lcn == 0:
		return m.badEntry(e, lcn, "type", e.kind.String(), "the first lcluster must be a head")
	case e.counted && back != 1:
		return m.badEntry(e, lcn, "block count", e.blocks, "not in the first lcluster behind a head")
	case e.back == 0 || int64(e.back) > back || e.back < disk.LclusterMaxDelta && int64(e.back) != back:
		return m.badEntry(e, lcn, "distance to the head", e.back, fmt.Sprintf("it is %d", back))
	}
	return nil
}
