// Command box is what the images of the tests run: a few commands in a static binary.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Println("box")
		return
	}
	switch args := os.Args[2:]; os.Args[1] {
	case "cat":
		for _, a := range args {
			b, err := os.ReadFile(a)
			check(err)
			fmt.Print(string(b))
		}
	case "ls":
		list, err := os.ReadDir(args[0])
		check(err)
		for _, e := range list {
			fmt.Println(e.Name())
		}
	case "id":
		groups, _ := os.Getgroups()
		fmt.Println(os.Getuid(), os.Getgid(), groups)
	case "env":
		for _, v := range os.Environ() {
			fmt.Println(v)
		}
		dir, _ := os.Getwd()
		fmt.Println("cwd=" + dir)
	case "touch":
		check(os.WriteFile(args[0], nil, 0o644))
	case "exit":
		n, _ := strconv.Atoi(args[0])
		os.Exit(n)
	case "tick": // says so, time and again
		n, _ := strconv.Atoi(args[0])
		for i := range n {
			fmt.Println("tick", i)
			time.Sleep(20 * time.Millisecond)
		}
	case "caught": // says which signal it gets
		sigs := make(chan os.Signal, 1)
		signal.Notify(sigs, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
		check(os.WriteFile(args[0], nil, 0o644))
		select {
		case s := <-sigs:
			fmt.Println("caught", s)
			os.Exit(42)
		case <-time.After(time.Minute):
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
