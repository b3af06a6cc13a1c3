//! Certificates made on the spot, servers that show them, and clients that trust exactly those.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::client::{Client, Transport};

/// A self-signed certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    names: Vec<String>,
    der: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

impl Certificate {
    /// Makes one for these names.
    pub fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names.clone()).expect("a certificate for valid names");
        Self {
            names,
            der: made.cert.der().clone(),
            certificate_pem: made.cert.pem(),
            key_pem: made.signing_key.serialize_pem(),
        }
    }

    /// Writes `cert.pem` and `key.pem` into a folder, each whole or not at all, the way that deployment tools do it.
    pub fn write(&self, folder: &Path) {
        for (name, text) in [("key.pem", &self.key_pem), ("cert.pem", &self.certificate_pem)] {
            let aside = folder.join(format!("{name}.new"));
            std::fs::write(&aside, text).expect("write a PEM file");
            std::fs::rename(&aside, folder.join(name)).expect("rename a PEM file");
        }
    }

    /// A client configuration that trusts only this certificate and offers these protocols by ALPN.
    pub fn client_config(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate as a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Connects through TLS with HTTP/1.1, asking for this certificate's first name.
    pub fn connect(&self, address: SocketAddr) -> Client {
        self.try_connect(address)
            .unwrap_or_else(|error| panic!("TLS to {address} as {}: {error}", self.names[0]))
    }

    /// As [`Self::connect`]; an error when the proxy shows another certificate.
    pub fn try_connect(&self, address: SocketAddr) -> std::io::Result<Client> {
        let mut connection = ClientConnection::new(self.client_config(&["http/1.1"]), self.server_name())
            .map_err(std::io::Error::other)?;
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(crate::PATIENCE))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(Client::over(Box::new(StreamOwned::new(connection, socket))))
    }

    /// A server configuration that shows this certificate.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_with(WebPkiClientVerifier::no_client_auth())
    }

    /// As [`Self::server_config`], for a server that has this opinion of its clients.
    pub fn server_config_with(&self, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("the key that was made");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.der.clone()], key)
            .expect("a certificate and its key");
        Arc::new(config)
    }

    /// The server's side of a connection; the handshake happens with the first read.
    pub(crate) fn accept(config: &Arc<ServerConfig>, socket: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
        let connection = ServerConnection::new(config.clone()).expect("a server configuration that can be used");
        StreamOwned::new(connection, socket)
    }

    /// The first name, as TLS wants it.
    pub fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.names[0].clone()).expect("a valid name")
    }
}

impl Transport for StreamOwned<ClientConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

impl Transport for StreamOwned<ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}
