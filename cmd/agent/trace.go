package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// gcPercent lets the heap, some 8 MB that live, grow to five times that before
// it is collected: at Go's own 100 a quarter of the agent's time under load goes
// into collecting. The memory limit still holds.
const gcPercent = 400

// trace runs the agent until ctx ends.
func trace(ctx context.Context, environ []string, form string, stdout, stderr io.Writer) int {
	c, err := loadConfig(environ, form)
	if err != nil {
		return complain(stderr, exitConfiguration, err)
	}
	if c.disabled {
		fmt.Fprintln(stderr, "clew: OTEL_SDK_DISABLED is true: nothing is traced")
		<-ctx.Done()
		return exitOK
	}
	if err := environment(); err != nil {
		return complain(stderr, exitEnvironment, err)
	}
	debug.SetMemoryLimit(c.memoryLimit)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	log := newLogger(stderr, c.logLevel)
	defer log.Sync() //nolint:errcheck // nothing is left to tell it to

	for _, lacking := range absent(c) {
		log.Warn(lacking.without, zap.String("missing", lacking.name), zap.String("purpose", lacking.purpose))
	}
	for _, remark := range c.remarks {
		log.Info(remark)
	}
	a, err := newAgent(ctx, log, c, stdout)
	if err != nil {
		return complain(stderr, exitEnvironment, err)
	}
	fmt.Fprintln(stderr, "clew "+a.summary(c))
	logRungs(log, a.probes.Rungs())
	for _, missing := range a.probes.Missing() {
		log.Info("not seen with these hooks", zap.String("missing", missing))
	}
	if err := a.run(ctx); err != nil {
		return complain(stderr, exitEnvironment, err)
	}
	return exitOK
}

// newLogger writes for people on a terminal, and one JSON object a line
// anywhere else.
func newLogger(w io.Writer, level zapcore.Level) *zap.Logger {
	var encoder zapcore.Encoder
	if isTerminal(w) {
		human := zap.NewDevelopmentEncoderConfig()
		human.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		human.EncodeCaller = nil
		human.CallerKey = ""
		encoder = zapcore.NewConsoleEncoder(human)
	} else {
		machine := zap.NewProductionEncoderConfig()
		machine.EncodeTime = zapcore.RFC3339NanoTimeEncoder
		encoder = zapcore.NewJSONEncoder(machine)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
