"""The ports on Azure. The only folder whose files may touch a socket."""
