# Varnish as a cache that does what Weir does: what the origin says decides, and nothing else is changed.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "{{origin}}";
}
