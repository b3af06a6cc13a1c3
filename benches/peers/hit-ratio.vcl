# Varnish as it is, but for grace: what is stored here never expires within a run, and only room decides what goes.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "{{origin}}";
}

sub vcl_backend_response {
    set beresp.ttl = 10h;
    set beresp.grace = 0s;
}
