module github.com/laminafs/lamina

go 1.26
