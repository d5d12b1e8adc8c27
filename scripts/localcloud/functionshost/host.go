package functionshost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// hostVersion is the version that the handler is told.
	hostVersion = "4.1052.200"
	// stopTimeout is the longest that Stop waits for what is running.
	stopTimeout = 10 * time.Second
	// headerTimeout and idleTimeout are those of the host's web server
	// (Kestrel): for sending a header, and between requests.
	headerTimeout = 30 * time.Second
	idleTimeout   = 130 * time.Second
	// maxAnswerHeader is the largest header of an answer of the handler, in bytes.
	maxAnswerHeader = 64 << 10
	// writeSize is how much of a request is written at once, in bytes: a short
	// body goes out before a handler that answers early can close.
	writeSize = 512 << 10
	// expectTimeout is how long a handler is waited for that was asked whether
	// it wants a body.
	expectTimeout = time.Second
	// maxIdleConns is how many idle connections to the handler are kept.
	maxIdleConns = 64
)

// A Host is a running function app.
type Host struct {
	cfg       Config
	app       *App
	url       string
	started   time.Time
	bodyLimit int64

	reservation io.Closer // of the handler's port
	worker      *worker
	transport   *http.Transport // to the handler
	client      *http.Client    // for invocations
	timers      []*timer
	server      *http.Server

	ctx        context.Context // done when everything must end
	cancel     context.CancelFunc
	stop       func()        // closes stopping
	stopping   chan struct{} // closed when no timer may start a run any more
	timersDone chan struct{} // closed when no timer runs any more
	done       chan struct{} // closed when everything has ended
	failure    atomic.Pointer[error]
}

// Start reads the app, listens and starts the handler. It returns before the
// handler is ready; requests that come earlier wait for it. The host runs until
// ctx is done, which kills the handler at once, until [Host.Stop], or until it
// fails; in each case the handler process has ended when [Host.Done] is closed.
func Start(ctx context.Context, cfg Config) (*Host, error) {
	local, err := readLocalSettings(cfg.Root)
	if err != nil {
		return nil, err
	}
	if cfg, err = cfg.withDefaults(local); err != nil {
		return nil, fmt.Errorf("checking the configuration: %w", err)
	}
	environ := local.addTo(cfg.Environ)
	app, err := ReadApp(cfg.Root, environ)
	if err != nil {
		return nil, err
	}
	for _, err := range app.Dropped {
		cfg.Log.Error("a function was dropped", "error", err)
	}
	if err := app.checkSettings(); err != nil {
		return nil, fmt.Errorf("checking the app settings: %w", err)
	}
	h := &Host{
		cfg: cfg, app: app, started: cfg.Now(), bodyLimit: app.bodyLimit(),
		stopping: make(chan struct{}), timersDone: make(chan struct{}), done: make(chan struct{}),
	}
	h.stop = sync.OnceFunc(func() { close(h.stopping) })
	port, err := app.fixedPort()
	if err != nil {
		return nil, err
	}
	if h.reservation, port, err = reservePort(port); err != nil {
		return nil, fmt.Errorf("reserving a port for the handler: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening: %w", err), h.reservation.Close())
	}
	h.url = "http://" + listener.Addr().String()
	h.setHandler(port, environ, listener.Addr().String())
	for _, fn := range app.Functions {
		if fn.trigger.is(timerTrigger) {
			h.timers = append(h.timers, h.newTimer(fn))
		}
	}
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ConnContext:       withFront,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	h.ctx, h.cancel = context.WithCancel(ctx)
	go h.run(listener)
	cfg.Log.Info("functions host started", "url", h.url, "functions", len(app.Functions), "handlerPort", port)
	return h, nil
}

// checkSettings refuses what `func start` refuses.
func (a *App) checkSettings() error {
	if runtime, _ := a.settings.lookup("FUNCTIONS_WORKER_RUNTIME"); !strings.EqualFold(runtime, "custom") {
		return fmt.Errorf("FUNCTIONS_WORKER_RUNTIME is %q, not \"custom\"", runtime)
	}
	for _, fn := range a.Functions {
		if fn.trigger.is(timerTrigger) && !a.hasStorage() {
			return fmt.Errorf("AzureWebJobsStorage is not set, which the timer of function %q needs", fn.Name)
		}
	}
	return nil
}

// hasStorage reports whether the host's own storage is named, by a connection
// string or by AzureWebJobsStorage__accountName and the like.
func (a *App) hasStorage() bool {
	for _, entry := range a.settings {
		name, value, _ := strings.Cut(strings.ToLower(entry), "=")
		if name = strings.ReplaceAll(name, "__", ":"); value != "" &&
			(name == "azurewebjobsstorage" || strings.HasPrefix(name, "azurewebjobsstorage:")) {
			return true
		}
	}
	return false
}

// setHandler prepares the worker and the ways to call it.
func (h *Host) setHandler(port int, environ settings, hostAddress string) {
	_, hostPort, _ := net.SplitHostPort(hostAddress) // an address of our own listener
	handlerPort, id := strconv.Itoa(port), h.cfg.NewID()
	command, dir := h.app.command()
	h.transport = &http.Transport{
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxIdleConns,
		// As .NET's client.
		MaxResponseHeaderBytes: maxAnswerHeader,
		WriteBufferSize:        writeSize,
		ExpectContinueTimeout:  expectTimeout,
		IdleConnTimeout:        time.Minute,
	}
	h.client = &http.Client{Transport: h.transport}
	if h.app.host.CustomHandler.Forwarding {
		h.client.CheckRedirect = keepRedirects
	}
	stderrIsBad := h.app.host.CustomHandler.Description.StderrIsError
	h.worker = &worker{
		command: command,
		dir:     dir,
		environ: append(environ[:len(environ):len(environ)],
			"WEBSITE_HOSTNAME=localhost:"+hostPort,
			"AzureWebJobsScriptRoot="+h.app.root,
			"AZURE_FUNCTIONS_ENVIRONMENT=Development",
			"FUNCTIONS_APP_ROOT_PATH="+h.app.root,
			"FUNCTIONS_CUSTOMHANDLER_PORT="+handlerPort,
			"FUNCTIONS_HTTPWORKER_PORT="+handlerPort,
			"FUNCTIONS_CUSTOMHANDLER_WORKER_ID="+id,
			"FUNCTIONS_HTTPWORKER_ID="+id,
		),
		address:     net.JoinHostPort("127.0.0.1", handlerPort),
		initTimeout: h.app.host.initializationTimeout(),
		stderrIsBad: stderrIsBad == nil || bool(*stderrIsBad),
		output:      h.cfg.HandlerOutput,
		now:         h.cfg.Now,
		log:         h.cfg.Log,
		client:      &http.Client{Transport: h.transport, CheckRedirect: keepRedirects},
		ready:       make(chan struct{}),
		cannotStart: make(chan struct{}),
	}
}

func keepRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// run serves until the host's context is done.
func (h *Host) run(listener net.Listener) {
	defer close(h.done)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.server.Serve(frontListener{listener}); !errors.Is(err, http.ErrServerClosed) {
			h.fail(fmt.Errorf("serving: %w", err))
		}
	})
	if len(h.app.Functions) > 0 { // without any, the host starts no handler
		wg.Go(func() {
			if err := h.worker.run(h.ctx); err != nil {
				h.fail(err)
			}
		})
	}
	wg.Go(func() {
		defer close(h.timersDone)
		var timers sync.WaitGroup
		for _, t := range h.timers {
			timers.Go(func() { t.run(h.ctx, h.stopping) })
		}
		timers.Wait()
	})
	<-h.ctx.Done()
	if err := h.server.Close(); err != nil {
		h.cfg.Log.Debug("closing the server", "error", err)
	}
	wg.Wait()
	if err := h.reservation.Close(); err != nil {
		h.cfg.Log.Debug("giving up the handler's port", "error", err)
	}
}

// fail ends the host with err.
func (h *Host) fail(err error) {
	if h.failure.CompareAndSwap(nil, &err) {
		h.cfg.Log.Error("the host stops", "error", err)
	}
	h.cancel()
}

// URL is where the host listens, "http://127.0.0.1:7071".
func (h *Host) URL() string { return h.url }

// HandlerPort is the port that the handler is told to listen on.
func (h *Host) HandlerPort() int {
	_, port, _ := net.SplitHostPort(h.worker.address)
	n, _ := strconv.Atoi(port) // written by setHandler
	return n
}

// HandlerPID is the handler process that was started last, 0 before the first.
func (h *Host) HandlerPID() int { return h.worker.pid() }

// Ready waits until the handler answers. It returns an error at once if the
// handler cannot be started, though the host waits on, as the real one does.
func (h *Host) Ready(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	go func() {
		select {
		case <-h.worker.cannotStart:
			cancel()
		case <-ctx.Done():
		}
	}()
	if _, err := h.worker.await(ctx); err != nil {
		select {
		case <-h.worker.cannotStart:
			return h.worker.startError
		default:
		}
		if h.ctx.Err() != nil {
			err = errors.Join(err, h.err())
		}
		return fmt.Errorf("waiting for the handler: %w", err)
	}
	return nil
}

// Done is closed when the host and its handler have ended.
func (h *Host) Done() <-chan struct{} { return h.done }

// Wait waits for the end and returns what ended the host, nil if that was Stop
// or the context of [Start].
func (h *Host) Wait() error {
	<-h.done
	return h.err()
}

func (h *Host) err() error {
	if err := h.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Stop ends the host as Azure does: it takes no more requests and starts no
// more timer runs, waits for what is running until ctx is done, at most 10 s,
// and then kills the handler, which is told nothing. It returns when the handler
// has ended, with an error if something was still running.
func (h *Host) Stop(ctx context.Context) error {
	h.stop()
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err := h.server.Shutdown(ctx)
	select {
	case <-h.timersDone:
	case <-ctx.Done():
		err = ctx.Err()
	}
	h.cancel()
	<-h.done
	if err != nil {
		return fmt.Errorf("stopping while something was running: %w", err)
	}
	return nil
}
