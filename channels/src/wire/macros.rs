//! What a list of frames comes to: their type, how each is written and read, and what it looks like
//! in a log.

macro_rules! frames {
    ($($(#[$doc:meta])* $kind:literal $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        /// One unit on the socket. Fields are described from the receiver's side.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Frame {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl Frame {
            pub(super) fn kind(&self) -> u8 {
                match self { $(Self::$name { .. } => $kind,)* }
            }

            pub(super) fn put_fields(&self, out: &mut Vec<u8>) {
                match self { $(Self::$name { $($field,)* } => { $($field.put(out);)* })* }
            }

            pub(super) fn take_fields(
                kind: u8,
                body: &mut Bytes,
            ) -> Result<Self, MalformedFrame> {
                match kind {
                    $($kind => Ok(Self::$name {
                        $($field: <$type>::read(body).map_err(|error| error.within(
                            concat!(stringify!($name), ".", stringify!($field))))?,)*
                    }),)*
                    _ => Err(MalformedFrame::new(format!("frame kind {kind} is not known"))),
                }
            }
        }

        impl std::hash::Hash for Frame {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                let mut fields = vec![self.kind()];
                self.put_fields(&mut fields);
                state.write(&fields);
            }
        }

        impl fmt::Display for Frame {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name { $($field,)* } => {
                        write!(out, stringify!($name))?;
                        $(write!(out, concat!(" ", stringify!($field), "={:?}"), $field)?;)*
                        Ok(())
                    })*
                }
            }
        }
    };
}
