package bundle

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// account is the user of a process.
type account struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// maxGroups is NGROUPS_MAX of Linux.
const maxGroups = 65536

// lookup finds USER[:GROUP]; each is a name or a number. "" is root. A number need not be in /etc/passwd;
// then the group is 0. Without GROUP the process is in all groups that list the user.
func lookup(root *os.Root, spec string) (account, error) {
	a := account{home: "/"}
	user, group, hasGroup := strings.Cut(spec, ":")
	if user == "" {
		user = "0"
	}
	passwd, err := readFile(root, "etc/passwd")
	if err != nil {
		return a, fmt.Errorf("bundle: user %q: %w", spec, err)
	}
	name, err := a.setUser(passwd, user)
	if err != nil {
		return a, err
	}
	groups, err := readFile(root, "etc/group")
	if err != nil {
		return a, fmt.Errorf("bundle: user %q: %w", spec, err)
	}
	if hasGroup && group != "" {
		return a, a.setGroup(groups, group)
	}
	a.addGroups(groups, name)
	return a, nil
}

// setUser finds a line NAME:PW:UID:GID:GECOS:HOME:SHELL and returns the name.
func (a *account) setUser(passwd, user string) (string, error) {
	id, isNumber := number(user)
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 6 {
			continue
		}
		uid, ok := number(f[2])
		gid, ok2 := number(f[3])
		if !ok || !ok2 || f[0] != user && (!isNumber || uid != id) {
			continue
		}
		a.uid, a.gid = uid, gid
		if f[5] != "" {
			a.home = f[5]
		}
		return f[0], nil
	}
	if !isNumber {
		return "", fmt.Errorf("bundle: user %q: not in /etc/passwd of the image: %w", user, fs.ErrNotExist)
	}
	a.uid = id
	return "", nil
}

// setGroup finds a line NAME:PW:GID:MEMBERS.
func (a *account) setGroup(groups, group string) error {
	if gid, ok := number(group); ok {
		a.gid = gid
		return nil
	}
	for line := range strings.Lines(groups) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 3 || f[0] != group {
			continue
		}
		if gid, ok := number(f[2]); ok {
			a.gid = gid
			return nil
		}
	}
	return fmt.Errorf("bundle: group %q: not in /etc/group of the image: %w", group, fs.ErrNotExist)
}

// addGroups collects the groups that list the user.
func (a *account) addGroups(groups, name string) {
	if name == "" {
		return
	}
	for line := range strings.Lines(groups) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), ":")
		if len(f) < 4 || len(a.groups) >= maxGroups {
			continue
		}
		gid, ok := number(f[2])
		if !ok || gid == a.gid {
			continue
		}
		for member := range strings.SplitSeq(f[3], ",") {
			if member == name {
				a.groups = append(a.groups, gid)
				break
			}
		}
	}
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31) // the kernel's (uid_t)-1 is no user; docker stops at 1<<31-1 too
	return uint32(n), err == nil
}
