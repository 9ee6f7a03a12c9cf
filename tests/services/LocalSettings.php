
# --- added by mediawiki.sh ---
if ( !isset( $_GET['noextracts'] ) ) { # api.php?noextracts=1 is a wiki without the extension
	wfLoadExtension( 'TextExtracts' ); # the package wikipedia reads extracts
}
wfLoadExtension( 'Cite' );
$wgRightsText = 'CC0 1.0';
$wgMainCacheType = CACHE_NONE; # every request is answered from the database
$wgJobRunRate = 0;
$wgShowExceptionDetails = true;
$wgCapitalLinks = true;
# Debian's package lacks the extension Disambiguator; this is all of it that the API shows: the page property.
$wgExtensionMessagesFiles['Disambiguation'] = "$IP/disambiguation.php";
$wgHooks['GetDoubleUnderscoreIDs'][] = static function ( array &$ids ) {
	$ids[] = 'disambiguation';
};
