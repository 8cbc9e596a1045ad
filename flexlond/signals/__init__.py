"""Price and carbon feeds to series on the time grid."""
