'use strict';
// A link of a chain that traces itself: http with the OpenTelemetry SDK, told by
// the SDK's own environment as well. See ../../chain for what a link is told.
// TRACESTATE is what it says in the traces that it begins.
const { createTraceState } = require('@opentelemetry/api');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-grpc');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const {
  AlwaysOnSampler, NodeTracerProvider, ParentBasedSampler, SimpleSpanProcessor,
} = require('@opentelemetry/sdk-trace-node');

// Stating is a sampler of everything which states something.
class Stating extends AlwaysOnSampler {
  shouldSample() {
    return { ...super.shouldSample(), traceState: createTraceState(process.env.TRACESTATE) };
  }
}

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': process.env.OTEL_SERVICE_NAME }),
  sampler: process.env.TRACESTATE ? new ParentBasedSampler({ root: new Stating() }) : undefined,
  spanProcessors: [new SimpleSpanProcessor(new OTLPTraceExporter())],
});
provider.register();
registerInstrumentations({ instrumentations: [new HttpInstrumentation()] });

require('../../chain/hop/hop.js');
