//! Metrics as Prometheus reads them.

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::families::{ALL, Family, Kind};
use super::process;
use super::registry::{Registry, Sample, Value};

/// The content type of [`Registry::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

impl Registry {
    /// All metrics in the Prometheus text format, and those of the process. Families without a series are left out.
    #[must_use]
    pub fn render(&self) -> String {
        let process = process::sample();
        let scrape = self.collect();
        let families: Vec<MetricFamily> = ALL
            .iter()
            .map(|family| (*family, self.samples_with(family, &scrape)))
            .chain(process.into_iter().map(|(family, value)| {
                (
                    family,
                    vec![Sample {
                        labels: [].into(),
                        value: Value::Number(value),
                    }],
                )
            }))
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(family, samples)| message(family, &samples))
            .collect();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be rendered");
            String::new()
        })
    }
}

fn message(family: &Family, samples: &[Sample]) -> MetricFamily {
    let mut message = MetricFamily::default();
    message.set_name(family.name.to_owned());
    message.set_help(family.help.to_owned());
    message.set_field_type(match family.kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram(_) => MetricType::HISTOGRAM,
    });
    message.set_metric(samples.iter().map(|sample| metric(family, sample)).collect());
    message
}

fn metric(family: &Family, sample: &Sample) -> Metric {
    let pairs = family.labels.iter().zip(sample.labels.iter()).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_string());
        pair
    });
    let mut metric = Metric::from_label(pairs.collect());
    match (&sample.value, family.kind) {
        (Value::Histogram { buckets, count, sum }, _) => metric.set_histogram(histogram(family, buckets, *count, *sum)),
        (Value::Number(number), Kind::Gauge) => {
            let mut gauge = Gauge::default();
            gauge.set_value(*number);
            metric.set_gauge(gauge);
        }
        (Value::Number(number), _) => {
            let mut counter = Counter::default();
            counter.set_value(*number);
            metric.set_counter(counter);
        }
    }
    metric
}

fn histogram(family: &Family, buckets: &[u64], count: u64, sum: f64) -> Histogram {
    let mut cumulative = 0;
    let shown = family.bounds().iter().zip(buckets).map(|(bound, values)| {
        cumulative += values;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(family.shown(*bound));
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(shown.collect());
    histogram.set_sample_count(count);
    histogram.set_sample_sum(sum);
    histogram
}

#[cfg(test)]
mod tests {
    use super::super::families::{REQUEST_DURATION, REQUESTS};
    use super::*;

    #[test]
    fn counters_have_help_type_labels_and_value() {
        let registry = Registry::new();
        registry.counter(&REQUESTS, &["public", "a\"b\\c\nd", "2xx"]).add(3);
        let text = registry.render();
        assert!(text.contains("# TYPE weir_requests_total counter\n"), "{text}");
        assert!(
            text.contains(r#"weir_requests_total{listener="public",route="a\"b\\c\nd",status="2xx"} 3"#),
            "{text}"
        );
    }

    #[test]
    fn histograms_are_cumulative_and_in_seconds() {
        let registry = Registry::new();
        let histogram = registry.histogram(&REQUEST_DURATION, &["api"]);
        histogram.observe(40_000);
        histogram.observe(900_000);
        histogram.observe(60_000_000_000);
        let text = registry.render();
        for line in [
            r#"weir_request_duration_seconds_bucket{route="api",le="0.00005"} 1"#,
            r#"weir_request_duration_seconds_bucket{route="api",le="0.001"} 2"#,
            r#"weir_request_duration_seconds_bucket{route="api",le="30"} 2"#,
            r#"weir_request_duration_seconds_bucket{route="api",le="+Inf"} 3"#,
            r#"weir_request_duration_seconds_count{route="api"} 3"#,
            r#"weir_request_duration_seconds_sum{route="api"} 60.00094"#,
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
        }
    }

    #[test]
    fn the_process_is_always_there() {
        let text = Registry::new().render();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            assert!(
                text.lines().any(|line| line.starts_with(&format!("{name} "))),
                "{name} in\n{text}"
            );
        }
    }
}
