package e2e

// Clients that are installed from their registries.

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// python is the interpreter of a virtual environment with the Python clients.
var python = once(func(ctx context.Context) (string, error) {
	interpreter := filepath.Join(".venv", "bin", "python")
	dir, err := install(ctx, "python", "requirements.txt", ".venv",
		[]string{"python3", "-m", "venv", "--clear", ".venv"},
		[]string{interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"},
	)
	return filepath.Join(dir, interpreter), err
})

// azureCLI is the interpreter of a virtual environment with the Azure CLI, which is
// large.
var azureCLI = once(func(ctx context.Context) (string, error) {
	interpreter := filepath.Join(".venv", "bin", "python")
	dir, err := install(ctx, "az", "requirements.txt", ".venv",
		[]string{"python3", "-m", "venv", "--clear", ".venv"},
		[]string{interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"},
	)
	if err != nil {
		return "", &missingError{why: "pip could not install it", err: err}
	}
	return filepath.Join(dir, interpreter), nil
})

// java is the class path of the program of the Java clients.
var java = once(func(ctx context.Context) (string, error) {
	for _, program := range []string{"mvn", "javac"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", &missingError{why: program + " is not installed", err: err}
		}
	}
	dir, err := install(ctx, "java", "pom.xml", "target",
		[]string{"mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=target/dependency"},
	)
	if err != nil {
		return "", &missingError{why: "Maven could not get them", err: err}
	}
	libraries := filepath.Join(dir, "target", "dependency", "*")
	sources, err := filepath.Glob(filepath.Join(dir, "*.java"))
	if err != nil {
		return "", err
	}
	classes, err := scratch()
	if err != nil {
		return "", err
	}
	classes = filepath.Join(classes, "java")
	compile := exec.CommandContext(ctx, "javac", append([]string{"-d", classes, "-cp", libraries}, sources...)...)
	if message, err := compile.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the Java client: %w\n%s", err, message)
	}
	return classes + string(filepath.ListSeparator) + libraries, nil
})

// javascript is the folder with the JavaScript client.
var javascript = once(func(ctx context.Context) (string, error) {
	return install(ctx, "js", "package-lock.json", "node_modules",
		[]string{"npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"},
	)
})

// install makes sure that a folder below clients has installed what its lock file
// says, in the ignored folder target, and returns the absolute path of the first.
// Processes that install at the same time wait for each other.
func install(ctx context.Context, client, lockFile, target string, commands ...[]string) (string, error) {
	source, err := tree()
	if err != nil {
		return "", err
	}
	lock, err := source.LockWait(ctx, filepath.Join("e2e", client+".lock"))
	if err != nil {
		return "", err
	}
	defer lock.Unlock()
	dir := filepath.Join(source.Root, "scripts", "e2e", "clients", client)
	wanted, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(wanted)
	stamp := []byte(hex.EncodeToString(sum[:]))
	mark := filepath.Join(dir, target, "installed")
	if found, err := os.ReadFile(mark); err == nil && bytes.Equal(found, stamp) {
		return dir, nil
	}
	for _, command := range commands {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Dir = dir
		if message, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("installing the %s clients: %q: %w\n%s", client, command, err, bytes.TrimSpace(message))
		}
	}
	return dir, os.WriteFile(mark, stamp, 0o600)
}
